"""Made-up hosts as node_exporter tells of them: what each scrape of the last days would have brought, for a Prometheus
(OpenMetrics text) and for a remote write alike."""
import math

MIB = 1048576
CORES = 2


class Host:
    """`scrapes`: when it was asked, in whole milliseconds, oldest first. `reboot`: a moment at which its counters begin anew."""

    def __init__(self, name, scrapes, job='node', reboot=None):
        self.name, self.scrapes, self.job, self.reboot = name, scrapes, job, reboot
        self.seed = sum(name.encode())

    def load(self, t):
        """From 0 to 1, with the rhythm of a day."""
        return 0.35 + 0.25 * math.sin(2 * math.pi * (t / 86400 + self.seed % 7 / 7)) + 0.02 * math.sin(t / 97 + self.seed)

    def samples(self):
        """For each scrape its time and [(name, labels, value)]"""
        cpu = {mode: 0.0 for mode in ('user', 'nice', 'system', 'irq', 'softirq', 'iowait', 'idle', 'steal')}
        received, before, boot = 5e9, None, None
        for ms in self.scrapes:
            t = ms / 1000
            seconds = 15.0 if before is None else t - before
            if boot is None:
                boot = t - 40 * 86400
            if self.reboot is not None and before is not None and before < self.reboot <= t:
                cpu, received, boot, seconds = dict.fromkeys(cpu, 0.0), 0.0, self.reboot, t - self.reboot
            before, load = t, self.load(t)
            shares = {'user': 0.8 * load, 'nice': 0.01, 'system': 0.15 * load, 'irq': 0.001, 'softirq': 0.004,
                      'iowait': 0.03 * load, 'steal': 0.002}
            shares['idle'] = 1 - sum(shares.values())
            for mode, share in shares.items():
                cpu[mode] += seconds * share
            received += seconds * load * 3 * MIB
            yield ms, self.scrape(t, load, cpu, received, boot)

    def scrape(self, t, load, cpu, received, boot):
        found = [('node_cpu_seconds_total', {'cpu': str(core), 'mode': mode}, value) for core in range(CORES) for mode, value in cpu.items()]
        disk = {'device': '/dev/sda1', 'fstype': 'ext4', 'mountpoint': '/'}
        memory = {'device': 'tmpfs', 'fstype': 'tmpfs', 'mountpoint': '/run'}
        found += [
            ('node_memory_MemTotal_bytes', {}, 8e9), ('node_memory_MemAvailable_bytes', {}, 8e9 * (0.9 - 0.5 * load)),
            ('node_memory_SwapTotal_bytes', {}, 2e9), ('node_memory_SwapFree_bytes', {}, 2e9 * (1 - 0.1 * load)),
            ('node_filesystem_size_bytes', disk, 1e11), ('node_filesystem_free_bytes', disk, 1e11 * (0.5 - 0.2 * load)),
            ('node_filesystem_avail_bytes', disk, 1e11 * (0.45 - 0.2 * load)), ('node_filesystem_readonly', disk, 0),
            ('node_filesystem_size_bytes', memory, 1e9), ('node_filesystem_avail_bytes', memory, 1), ('node_filesystem_free_bytes', memory, 1),
            ('node_network_receive_bytes_total', {'device': 'eth0'}, received), ('node_network_receive_bytes_total', {'device': 'lo'}, 9 * received),
            ('node_network_transmit_bytes_total', {'device': 'eth0'}, received / 2), ('node_network_transmit_bytes_total', {'device': 'lo'}, received),
            ('node_tcp_connection_states', {'state': 'established'}, 100 * load), ('node_tcp_connection_states', {'state': 'close_wait'}, round(5 * load)),
            ('node_load1', {}, 4 * load), ('node_time_seconds', {}, t), ('node_boot_time_seconds', {}, boot),
            ('node_disk_io_now', {'device': 'sda'}, 1)]
        target = {'instance': self.name + ':9100', 'job': self.job}
        return [(name, {**labels, **target}, value) for name, labels, value in found]


def selector(name, labels):
    return name + '{' + ','.join('%s="%s"' % one for one in sorted(labels.items())) + '}'


def open_metrics(hosts, path):
    with open(path, 'w', encoding='utf-8') as file:
        for host in hosts:
            for ms, found in host.samples():
                file.writelines('%s %r %.3f\n' % (selector(name, labels), value, ms / 1000) for name, labels, value in found)
        file.write('# EOF\n')


def write_requests(host, first_ms, scrapes=200):
    """What remote write would bring from a time on: [(labels, [(milliseconds, value)])] for so many scrapes each."""
    series, n = {}, 0
    for ms, found in host.samples():
        if ms < first_ms:
            continue
        for name, labels, value in found:
            series.setdefault(selector(name, labels), ({'__name__': name, **labels}, []))[1].append((ms, value))
        n += 1
        if n % scrapes == 0:
            yield list(series.values())
            series = {}
    yield list(series.values())
