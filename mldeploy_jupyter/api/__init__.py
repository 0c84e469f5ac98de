"""The classes that users import, under the names of the Azure ML SDK v1.

A tower, in which each room imports only those to its right: workspace > runs > models > webservices > environments >
arguments, record_attribute, tag_filters. All of them import `deployment` and the rooms below it.
"""
