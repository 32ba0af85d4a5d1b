"""What hurts a cluster: pure planners, and the faults they plan.

A planner draws every choice from the stream it is handed and returns a schedule that is plain
data. A fault looks up what can only be known then (who leads, who runs), acts through the
capabilities of the cluster, proves that it bit, heals, and proves that too.

Faults of one family share what they hold (links cut, servers down), because a heal that takes
long may still be under way when the next fault begins: what two of them want stays in force until
both have let go.
"""
