"""How a clock is made to lie: a planned fault's parameters, read back."""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.cluster import ClockSkew
from harness.core.errors import UsageError
from harness.core.faults import FaultSpec
from harness.core.units import MILLISECOND, show_ms
from nemesis import params


@dataclass(frozen=True, slots=True)
class Lie:
    """A planned skew: whose clock, and how it is wrong.

    ``offsets_ns`` are those of the nodes in their order, where each has one of its own. After
    ``hold_ns``, if it is not 0, the clock is true again, long before the fault ends.
    """

    who: str
    order: tuple[str, ...]
    skew: ClockSkew
    offsets_ns: tuple[int, ...] = ()
    hold_ns: int = 0

    @classmethod
    def read(cls, spec: FaultSpec) -> Lie:
        """From a plan.

        Raises:
            UsageError: not parameters of a clock fault.
        """
        who = params.text(spec, "who")
        if who not in ("one", "minority", "all"):
            raise UsageError(f"fault clock: unknown role {who!r} (known: one, minority, all)")
        order = params.names(spec, "order")
        if "offsets_ms" in spec.params:
            offsets = tuple(ms * MILLISECOND for ms in params.integers(spec, "offsets_ms"))
            if len(offsets) != len(order):
                raise UsageError("fault clock: offsets_ms has one for each node of its order")
            return cls(who, order, ClockSkew(), offsets)
        if "offset_ms" in spec.params:
            skew = ClockSkew(offset_ns=params.whole(spec, "offset_ms") * MILLISECOND)
            hold_ms = params.whole(spec, "hold_ms") if "hold_ms" in spec.params else 0
            return cls(who, order, skew, hold_ns=hold_ms * MILLISECOND)
        if "rate" in spec.params:
            skew = ClockSkew(rate=params.number(spec, "rate"))
        elif "monotonic_rate" in spec.params:
            skew = ClockSkew(monotonic_rate=params.number(spec, "monotonic_rate"))
        else:
            skew = ClockSkew(
                strobe_ns=params.whole(spec, "strobe_ms") * MILLISECOND,
                strobe_period_ns=params.whole(spec, "period_ms") * MILLISECOND,
            )
        return cls(who, order, skew)

    def of(self, node: str) -> ClockSkew:
        """How the clock of a node is wrong."""
        if not self.offsets_ns:
            return self.skew
        return ClockSkew(offset_ns=self.offsets_ns[self.order.index(node)])

    @property
    def words(self) -> str:
        """``+2.5 s``, ``+2.5 s for 300 ms``, ``×1.5``, ``±800 ms every 120 ms``, …"""
        skew = self.skew
        if self.offsets_ns:
            return " ".join(map(_signed, self.offsets_ns))
        if skew.offset_ns:
            held = f" for {show_ms(self.hold_ns)}" if self.hold_ns else ""
            return _signed(skew.offset_ns) + held
        if skew.strobe_ns:
            return f"±{show_ms(skew.strobe_ns)} every {show_ms(skew.strobe_period_ns)}"
        if skew.monotonic_rate != 1:
            return f"monotonic clock ×{skew.monotonic_rate:g}"
        return f"×{skew.rate:g}"

    def pause_s(self, number: int) -> float:
        """Before a reading; a strobe wants more of them, to be met in both of its states.

        Multiples of the golden ratio spread evenly and repeat no rhythm, so that a strobe's
        period cannot hide behind that of the readings.
        """
        least = 0.06 if self.skew.strobe_ns else 0.2
        return least * (1 + number * 0.6180339887 % 1)


def _signed(nanoseconds: int) -> str:
    return ("-" if nanoseconds < 0 else "+") + show_ms(abs(nanoseconds))
