"""What must change? Essence, ownership and the decision: values in, values out."""
