"""Published tables with one command: ``memenvs evaluate --suite NAME``.

* `suite` - what a suite is; `catalogue` - the suites there are.
* `plan` - a suite with data, arms and reader chosen.
* `arms` - what is compared in every suite.
* `run` - the reading stage: memories are made once, then the questions are read. `later` - readings kept for later.
* `kept` - a file of records that survives a kill.
* `scoring` - the scoring stage, under the suite's profile. `summary` - what a table needs to know of an episode.
* `costs` - what reading cost.
* `averages` - means and intervals; `table` - the rows; `show`, `heat_map` - the rows for the eye.
* `published_results` - the papers' own numbers.
* `run_files` - one JSON per run.
"""
