"""The conformance kit: what every backend must do, as tests that a backend's own tests inherit."""
