"""One service in several processes: a parent that answers nothing, and workers that share its sockets.

parent    supervisor.py starts the workers, replaces one that dies, and stops them all
hub.py lets all workers change the model together, and adds up their metrics
worker    worker.py serves as `caser serve` with one process does; line.py is its line to the parent
"""
