package bind

import (
	"slices"
	"strings"
)

// foreign are words of other tools, and what vsl has instead: who brings a habit
// along gets a sentence and not the list of all keys.
var foreign = []struct {
	words string // as they are written elsewhere
	in    string // tables that they are looked for in
	says  string
}{
	{"image box rootfs base build distro os release", "guest pool",
		`guests are cloned from a template: template = template "web" { from = debian { packages = { … } } }`},
	{"packages apt", "guest pool template", `packages belong to the template's base: from = debian { packages = { … } }`},
	{"mount mounts volume volumes bind binds shared_folders synced_folder", "guest pool template",
		"there are no host mounts in guests: g:copy_in(host, guest) in provision copies what is beside the recipe"},
	{"disk disk_size quota storage storage_opt", "guest pool limit", "there is no quota: a guest can fill the file system that its files are on"},
	{"snapshot snapshots backup backups", "guest pool", "there are no snapshots of guests; vsl freeze and thaw hold one still while its files are copied"},
	{"port ports expose publish forwarded_port forwarded_ports", "guest pool",
		"no port is forwarded: the guest has an address of its own, ip = \"127.77.0.10\", and its port 80 is port 80 of that"},
	{"network networks network_mode net_mode bridge veth nic interfaces ipv4_address gateway", "guest pool",
		"there are no networks to make: ip = \"…\" gives a guest an address on the host's stack, net = \"none\" only a loopback of its own"},
	{"address addr addresses ip_address", "guest pool", "addresses are given as ip = \"…\", or a list of them"},
	{"dns dns_search extra_hosts links domainname", "guest pool", "there is no name service: a recipe has addresses, as in env = { DB = db.ip }"},
	{"restart restart_policy autorestart respawn", "guest pool",
		"no process of vsl watches guests: a guest's own init restarts its services, vsl restart NAME the guest"},
	{"autostart onboot start_on_boot enabled", "guest pool",
		"vsl does nothing at the host's start by itself: a unit of the host's init runs vsl up RECIPE"},
	{"depends_on depends requires needs wants links_to start_after", "guest pool", `it comes up after others by after = { db = "ready" }`},
	{"environment environ env_file vars", "guest pool boot exec", `variables are given as env = { NAME = "value" }`},
	{"healthcheck health health_check check wait_for", "guest pool", "a guest is ready by a probe: ready = probe.http { port = 80 }"},
	{"user uid gid group run_as username", "guest pool boot",
		`commands of exec take a user, g:exec { …, user = "www-data" }; what command starts is root of the guest, which is nobody on the host`},
	{"cmd entrypoint args exec run_command", "guest pool boot", `a plain program is given as command = { "/usr/sbin/nginx", "-g", "daemon off;" }`},
	{"host_name", "guest pool boot", "the name inside is given as hostname = \"…\""},
	{"working_dir workdir cwd", "guest pool boot", `a command that needs a folder goes there itself: command = "cd /srv && exec ./server"`},
	{"working_dir workdir cwd", "exec", `the folder is given as dir = "/srv"`},
	{"memory mem mem_limit memory_limit ram cpu cpus vcpus cpu_quota pids pids_limit resources deploy", "guest pool",
		`what it may use is in limit = { memory = "256M", cpu = 0.5, pids = 256 }`},
	{"ulimits ulimit rlimit", "guest pool limit", "limits of each process are in limit.rlimits: limit = { rlimits = { nofile = 1024 } }"},
	{strings.Join(rlimitNames, " ") + " files open_files", "limit", "limits of each process are in rlimits: rlimits = { nofile = 1024, core = 0 }"},
	{"privileged cap_add cap_drop capabilities caps security_opt devices", "guest pool",
		"there is no privileged mode: root in a guest has no capability on the host, and no key gives it one"},
	{"replicas scale instances", "guest", `many alike are a pool: pool "web" { size = 3, each = function(i) … end }`},
	{"setup install provisioner script user_data cloud_init", "guest pool", `what runs once, before the first boot, is provision = function(g) g:sh "…" end`},
	{"stop_signal stopsignal kill_signal stop_grace_period stop_timeout", "guest pool", `how it is brought down is in stop = { signal = "TERM", timeout = "30s" }`},
	{"name container_name", "guest", `the name stands before the table: guest "web" { … }`},
}

// Foreign says what vsl has for a key of another tool in a table of the language;
// "" is not known. With the table "" it is a word from anywhere.
func Foreign(table, word string) string {
	word = strings.ToLower(word)
	for _, f := range foreign {
		if (table == "" || slices.Contains(strings.Fields(f.in), table)) && slices.Contains(strings.Fields(f.words), word) {
			return f.says
		}
	}
	return ""
}
