"""What an operator does on the way off a legacy file: every command of ``metrics-store legacy``."""
