"""Reading free text without a model: sentences, and the dialogue acts that a lexicon and patterns find in them."""
