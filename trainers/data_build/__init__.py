"""Making data: Memalpha-style streams from files of public sources, and questions per chunk.

* `raw` - the files of each source as records.
* `memalpha` - records to parquet files with manifest.
* `offline`, `endpoint` - chunk questions without and with a model.
"""
