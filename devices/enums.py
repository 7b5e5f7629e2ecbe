"""Fixed vocabularies of devices."""

from __future__ import annotations

from django.db import models

from homepot.enums import Vocabulary


class DeviceType(Vocabulary):
    POS_TERMINAL = "pos_terminal", "POS terminal"
    IOT_SENSOR = "iot_sensor", "IoT sensor"
    INDUSTRIAL_CONTROLLER = "industrial_controller"
    GATEWAY = "gateway"
    KIOSK = "kiosk"
    PRINTER = "printer"
    UNKNOWN = "unknown"


class DeviceStatus(models.TextChoices):
    UNKNOWN = "unknown"
    ONLINE = "online"
    OFFLINE = "offline"
    ERROR = "error"
    MAINTENANCE = "maintenance"


class LifecycleState(models.TextChoices):
    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"


class EventKind(models.TextChoices):
    """Kinds of events that agents tell of their own accord."""

    LOG = "log"
    AUDIT = "audit"
    ALERT = "alert"
    CONFIG = "config"


class Permission(Vocabulary):
    """What a device can allow us."""

    ROOT_ACCESS = "root_access"
    COMMAND_EXECUTION = "command_execution"
    PROCESS_MONITORING = "process_monitoring"
    FILESYSTEM_ACCESS = "filesystem_access"
    NETWORK_MONITORING = "network_monitoring"


# Devices in these states may speak.
SPEAKING = frozenset({LifecycleState.PENDING, LifecycleState.ACTIVE})
# In these, silence is news.
HEARD = frozenset({DeviceStatus.ONLINE, DeviceStatus.ERROR})
