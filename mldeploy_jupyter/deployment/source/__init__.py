"""The source of a deployment: copied when it is asked for, and compared when the service is deployed again."""
