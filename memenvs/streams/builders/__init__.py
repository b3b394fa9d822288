"""Streams in the manner of Mem-alpha's data set, made from the records of public sources.

Pure functions from records and a seed to instances; files are `trainers.data_build`'s business. The rules are those of
wangyu-ustc/Mem-alpha@9c0e1f6: process_data.py, told in its data card and measured on its output. Where that code depends on the
hash seed, on an unseeded draw or on a model, the rule here is stated in the function concerned and in docs/building_data.md.

* `Instance`, `BuiltQuestion` - what every builder makes.
* `passages` - SQuAD and HotpotQA; `labelled` - labelled sentences; `books` - chapters; `conversations` - PerLTQA and dialogues.
* `chunk_questions` - five questions per chunk by rule, verified by the extractive reader.
"""
