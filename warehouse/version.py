"""Version of the pipeline, recorded in every release."""

VERSION = "0.2.0"
