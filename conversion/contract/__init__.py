"""What every language reads: the manifest and its parts, strictly, beside SPEC.md, schemas and golden vectors."""
