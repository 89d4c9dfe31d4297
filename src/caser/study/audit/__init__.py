"""The audit of a log: does order matter in it, and what else must be known before a number on it is believed?"""
