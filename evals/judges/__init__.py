"""Evaluation judges: own readings, own lexicons, no code shared with what agents are trained on."""
