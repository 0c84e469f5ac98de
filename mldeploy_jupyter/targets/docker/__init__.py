"""The target `docker`: a service is a container of its image on this machine's engine, Docker or Podman.

A service has a volume, a container with the role `listener`, which owns the published port and hands its listening
socket over through the volume, and one with the role `service`, which scores. Labels name all of them, so a service is
found again even if all its records are lost.

    target        the target itself: check, apply, control, status, ...
    rollout       one deployment: a new container beside the old one, then the traffic
    update_in_place   a reload: new code in the running container
    containers, layout    the containers and the volume of one service, and which container has which part
    control       requests of the control protocol, sent into a container
    status, exit_reason   the state of a service, and why a container ended
    glance        the states of many services, from one request to the engine
    log, collector    the service's log, copied from the engine's
    discovery, lost_services    services that the store, or their workspace, has lost
"""
