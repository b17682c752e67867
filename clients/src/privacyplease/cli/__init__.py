"""The command line: `privacyplease`. See `privacyplease.cli.application` for how commands are found."""
