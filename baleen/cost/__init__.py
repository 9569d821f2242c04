"""Parameters, bytes, FLOPs, roofline, list prices and dollars, from a model's config alone."""
