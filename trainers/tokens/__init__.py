"""Training language models token by token.

* `rows` - what one generation leaves behind: prompt, completion, log-probabilities, advantage.
* `shared_prefix` - log-probabilities of many completions whose prompts begin alike, with gradients, the beginning forwarded once.
* `selected` - log-probabilities of given tokens without the whole table of logits in memory.
"""
