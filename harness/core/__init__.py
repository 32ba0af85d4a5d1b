"""The shared words: operations, histories, faults, plans, verdicts, protocols.

Standard library only, and nothing else of the project is imported here, so every other
room can speak these words without depending on another room.
"""
