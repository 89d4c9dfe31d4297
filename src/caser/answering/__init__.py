"""From a fitted model to answers in raw ids, and explanations of them."""
