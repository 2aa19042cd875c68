"""In a zygote: no control group can be made, as on a machine where nobody may."""

import sys

from lander.actors.host.control_group import ControlGroup


def refuse(home):
    print("no control group was made", file=sys.stderr, flush=True)
    raise PermissionError(13, "Permission denied")


ControlGroup.make = refuse
