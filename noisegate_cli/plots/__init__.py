"""Pictures of recordings and gates: values in, a figure of matplotlib out."""
