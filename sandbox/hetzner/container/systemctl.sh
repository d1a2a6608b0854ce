#!/bin/sh
# Stands in for systemd in a machine of the stand-in: it starts, stops and keeps
# alive simple services of /etc/systemd/system, and says yes to all else.
# `systemctl boot` starts those that are enabled.
units=/etc/systemd/system
wants=$units/multi-user.target.wants
run=/run/units

name() { case $1 in *.*) echo "$1" ;; *) echo "$1.service" ;; esac; }
values() { sed -n "s/^$2=//p" "$units/$1"; }
alive() { [ -s "$run/$1.pid" ] && kill -0 "$(cat "$run/$1.pid")" 2>/dev/null; }

# compose prints a script that runs a unit's program in its environment.
compose() {
  values "$1" EnvironmentFile | while read -r file; do
    echo "set -a; [ ! -r '${file#-}' ] || . '${file#-}'; set +a"
  done
  values "$1" Environment | while read -r pair; do echo "export $pair"; done
  values "$1" WorkingDirectory | sed "s/.*/cd '&'/"
  values "$1" ExecStartPre | while read -r line; do
    case $line in
    -*) echo "${line#-}" ;;
    *) echo "$line || exit" ;;
    esac
  done
  user=$(values "$1" User)
  echo "exec ${user:+runuser -u $user -- }$(values "$1" ExecStart)"
}

# Of the units that an image of Hetzner's has, none is here: the engine is the
# host's, and there is nothing to log to or to update.
system() { case $1 in docker.* | systemd-* | apt-daily* | unattended-upgrades.*) return 0 ;; *) return 1 ;; esac; }

start() {
  if [ ! -f "$units/$1" ] && system "$1"; then return; fi
  if [ ! -f "$units/$1" ]; then
    echo "Failed to start $1: Unit $1 not found." >&2
    return 5
  fi
  if alive "$1"; then return; fi
  mkdir -p $run
  compose "$1" >"$run/$1.sh"
  # shellcheck disable=SC2016 # for the shell that keeps it
  setsid sh -c 'while :; do
    sh "$0.sh" && code=0 || code=$?
    case $1$code in always* | on-failure[1-9]*) sleep 1 ;; *) exit ;; esac
  done' "$run/$1" "$(values "$1" Restart)" </dev/null >>/var/log/units.log 2>&1 &
  echo $! >"$run/$1.pid"
}

stop() {
  if alive "$1"; then kill -TERM -"$(cat "$run/$1.pid")"; fi
  rm -f "$run/$1.pid"
}

verb='' now='' names='' code=0
for word; do
  case $word in
  --now) now=yes ;;
  -*) ;;
  *) if [ -z "$verb" ]; then verb=$word; else names="$names $(name "$word")"; fi ;;
  esac
done
case $verb in
boot)
  rm -rf $run
  for link in "$wants"/*; do
    if [ -e "$link" ]; then start "${link##*/}"; fi
  done
  ;;
enable)
  mkdir -p $wants
  for unit in $names; do ln -sf "../$unit" "$wants/$unit"; done
  ;;
disable) for unit in $names; do rm -f "$wants/$unit"; done ;;
esac
for unit in $names; do
  case $verb$now in
  start | enableyes) start "$unit" || code=$? ;;
  stop | disableyes) stop "$unit" ;;
  restart | try-restart | reload-or-restart)
    stop "$unit"
    start "$unit" || code=$?
    ;;
  is-active) if alive "$unit"; then echo active; else
    echo inactive
    code=3
  fi ;;
  esac
done
exit $code
