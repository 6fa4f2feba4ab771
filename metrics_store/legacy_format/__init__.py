"""The legacy JSON format: what a record says, how its moments are read, and how it is written."""
