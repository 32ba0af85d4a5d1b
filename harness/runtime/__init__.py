"""Where nodes live: ``netns`` (network namespaces), ``docker`` (containers).

Both drive the same agent (:mod:`harness.agent`) by the same hands (:mod:`harness.runtime.hands`).
"""
