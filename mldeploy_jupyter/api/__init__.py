"""The classes that users import, under the names of the Azure ML SDK v1.

Each module imports only those to its right: prune > workspace > runs > models > webservices > environments | images >
azure_names > arguments, record_attribute, tag_filters. All of them import `deployment` and the rooms below it.
"""
