"""A Hypothesis state machine for systems that hand work down from a large model to a small one, and back.

The machine trains, switches, damages, crashes and races a system, and compares everything it does with an oracle that
says the contract a second time. Point it at a system by writing an adapter (`stepdown_machine.protocol`), subclass
`stepdown_machine.machine.HandoffMachine`, override its one hook, and bind `case(YourMachine)` to a name in a test
module.

Importing this package costs nothing and does not import Hypothesis.
"""
