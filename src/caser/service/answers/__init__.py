"""How the service makes an answer: the loaded model, rules, reasons, the queue."""
