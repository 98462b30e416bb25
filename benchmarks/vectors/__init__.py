"""Makes the golden vectors of the contract."""
