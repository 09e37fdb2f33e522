"""The validation plugin's hooks; the modules that measure are imported inside them."""
