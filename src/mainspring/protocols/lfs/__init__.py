"""Git LFS: the stock `git lfs` client pushes, pulls and locks against Mainspring.

The batch API, the basic transfer with ranges, and the locks API; `wire` holds the rules of transport, `objects` and
`locks` translate onto operations of the data room, `routes` mounts them under `/lfs/<workspace>/<repository>`.
"""
