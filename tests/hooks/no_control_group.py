"""In a zygote: no control group can be made, as on a machine where nobody may."""

from lander.actors.host.control_group import ControlGroup


def refuse(home):
    raise PermissionError(13, "Permission denied")


ControlGroup.make = refuse
