"""What the kit changes process-wide, each with its reason.

Nothing stays changed in a user's pytest process; what Hypothesis draws from is the only change
there, and only while it draws for a clause.

In the host, the process in which a Python client lives:

- `frozen_time`: freezegun, which then reads the clock that the judging process moves, and applies
  the offset of the local time zone at that time;
- `sleep`: time.sleep, which moves that clock instead of waiting;
- `time_zone`: the variable TZ and the C library's zone: UTC while time is frozen, since freezegun's
  local times are, or the zone in which a test case looks at a client that uses local time;
- `process_state`: environment, umask, working directory and defaults that a client may have
  changed, restored before the next client is made;
- `records`: logging and warnings, while a test case looks for secrets in them;
- `debugger`: bdb's entry point, so that a deadline waits for a user who debugs a client;
- `thread_switching`: the interval at which threads switch, so that a burst shows races.

In the judging process, while Hypothesis draws the examples of a clause:

- `draws`: where Hypothesis takes constants from, so that the verdict does not depend on the modules
  that are imported. The user's own tests do not run at that time, and their cache is not touched.

In the process of `mockbroker check`, which runs nothing of the user's:

- `own_pytest`: the variables by which a user configures pytest, the hook for errors in __del__, and
  the variable that keeps plugins of Hypothesis out;
- `one_processor`: CPU affinity, because client and broker then take turns faster.

A process that belongs to the kit also sets itself up when it starts: signal handlers, resource
limits, the guard of the client's files. This is in the module that starts it (`drivers.host`,
`drivers.guarded_program`), since no other code runs in that process before.
"""
