"""The MLflow REST protocol: the stock MLflow client works against Mainspring without a changed line.

Every handler is a thin translation onto an operation, so that what arrives is the same run, the same model and the same
lineage as ours. `wire` holds the rules of transport, `routes` the mounting; each area is a module with its table of
endpoints.
"""
