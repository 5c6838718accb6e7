"""Standard scores of responses on MultiWOZ: Inform, Success, BLEU, Combined and how rich the language is.

The procedure is the one of Nekvinda and Dušek, "Shades of BLEU, Flavours of Success: The Case of MultiWOZ"
(GEM 2021, arXiv 2106.05555), on which the benchmark's public table rests.
"""

DOMAIN_SOURCES = ("shipped", "state", "slots")
"""Where the domains that a turn is about come from: the file, changes of the state, or names of placeholders."""
