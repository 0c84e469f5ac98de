"""`Webservice`: deploying, waiting, listing, calling and changing services; the classes of each target."""
