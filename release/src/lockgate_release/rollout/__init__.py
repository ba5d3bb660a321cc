"""How a rollout is judged: what its plan allows, what was counted, and what that proves.

`plan` says what may happen, `counts` what was reported, `evidence` what the counts prove, and
`controller` what to do. All of it is pure. Neither a client nor its launcher imports this room.
"""
