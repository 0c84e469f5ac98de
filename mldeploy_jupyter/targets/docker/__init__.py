"""The target `docker`: a service is a container of its image on this machine's engine, Docker or Podman.

A service has a volume, a container with the role `listener`, which owns the published port and hands its listening
socket to whoever asks in the volume, and one with the role `service`, which scores. Labels name all of them, so that
a service is found again whatever else was lost.

    target        the target itself: check, apply, control, status, ...
    rollout       one deployment: a new container beside the old one, then the traffic
    containers    the containers and the volume of one service, as the engine has them
    control       requests of the control protocol, sent into a container
    glance        what many services do, with one question to the engine
    log, collector    the service's log, copied from the engine's
"""
