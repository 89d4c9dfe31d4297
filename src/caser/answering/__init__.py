"""From a fitted model to answers in raw ids, and the reasons for them."""
