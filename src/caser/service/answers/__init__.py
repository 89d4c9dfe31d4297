"""How the service answers a question: the loaded model, the queue of questions, business rules, and explanations."""
