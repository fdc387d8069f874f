#!/bin/bash
# Installs the Debian packages named as arguments, starting none of their services. Needs root.
#
# - One installation at a time on a machine (flock), and after whoever has apt's own lock.
# - While it runs, /usr/sbin/policy-rc.d is ours and forbids services to start. The one that was there is put back when
#   this script ends, by a signal too; what a kill -9 of an earlier run left behind is put right first.
set -euo pipefail

policy=/usr/sbin/policy-rc.d
saved=$policy.andiron-saved
mark='# andiron: no service is started while test peers are installed'

exec 9>"/run/lock/andiron-peers"
flock 9

put_back() {
  if [ -e "$saved" ]; then mv -f "$saved" "$policy"
  elif grep -qsF "$mark" "$policy"; then rm -f "$policy"
  fi
}
trap put_back EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
put_back

if [ -e "$policy" ]; then mv "$policy" "$saved"; fi
printf '#!/bin/sh\n%s\nexit 101\n' "$mark" > "$policy.andiron-new"
chmod 755 "$policy.andiron-new"
mv "$policy.andiron-new" "$policy"

export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold)

# In the foreground: bash lets a signal wait until the running command has ended, so that no package is left half
# configured and no service is started by an installation that outlives our policy.
for package in "$@"; do
  if ! apt-cache show "$package" > /dev/null 2>&1; then "${apt[@]}" update 9>&-; break; fi
done
"${apt[@]}" install --no-install-recommends "$@" 9>&- || {
  "${apt[@]}" update 9>&- # the lists may be older than the archive
  "${apt[@]}" install --no-install-recommends "$@" 9>&-
}
