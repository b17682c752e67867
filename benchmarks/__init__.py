"""What Privacy Please costs and saves beside the same job in plaintext, measured alternately in one run."""
