"""HTTP to invocations and back."""
