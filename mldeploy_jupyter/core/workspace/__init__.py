"""The folder `.mldeploy/`, the workspaces this user has, and v1's config.json."""
