//! Log lines for tests and benches.
#![allow(dead_code, missing_docs, unreachable_pub)]

/// A small generator of pseudo-random numbers (splitmix64), so that every run sees the same text.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Lines in the shapes that real services write, with random numbers in them.
pub fn log_lines(count: usize) -> Vec<Vec<u8>> {
    let mut r = Random(1);
    (0..count)
        .map(|n| {
            let (h, m, s, ms) = (r.below(24), r.below(60), r.below(60), r.below(1000));
            let ip = format!("10.{}.{}.{}", r.below(256), r.below(256), r.below(256));
            let line = match n % 10 {
                0 => format!("081109 {h:02}{m:02}{s:02} {} INFO dfs.DataNode$PacketResponder: PacketResponder {} for block blk_{} terminating", r.below(999), r.below(3), r.next() as i64),
                1 => format!("2015-10-18 {h:02}:{m:02}:{s:02},{ms:03} INFO [main] org.apache.hadoop.mapreduce.v2.app.MRAppMaster: Created MRAppMaster for application appattempt_1445144423722_{:04}_000001", r.below(9999)),
                2 => format!("17/06/09 {h:02}:{m:02}:{s:02} INFO executor.Executor: Finished task {}.0 in stage {}.0 (TID {}). {} bytes result sent to driver", r.below(50), r.below(20), r.below(9999), r.below(9999)),
                3 => format!("nova-api.log.1.2017-05-16_13:53:08 2017-05-16 {h:02}:{m:02}:{s:02}.{ms:03} 25746 INFO nova.osapi_compute.wsgi.server [req-{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x} - - -] {ip} \"GET /v2/servers/detail HTTP/1.1\" status: 200 len: {} time: 0.{:07}", r.below(1 << 32), r.below(1 << 16), r.below(1 << 12), r.below(1 << 12), r.below(1 << 48), r.below(9999), r.below(9_999_999)),
                4 => format!("{ip} - - [18/Oct/2015:{h:02}:{m:02}:{s:02} +0200] \"GET /static/js/app.{:08x}.js?v={} HTTP/1.1\" 200 {} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"", r.below(1 << 32), r.below(999), r.below(99_999)),
                5 => format!("Dec 10 {h:02}:{m:02}:{s:02} LabSZ sshd[{}]: Failed password for invalid user webmaster from {ip} port {} ssh2", r.below(32_768), r.below(65_536)),
                6 => format!("2016-09-28 {h:02}:{m:02}:{s:02}, Info                  CBS    Loaded Servicing Stack v6.1.7601.23505 with Core: C:\\Windows\\winsxs\\amd64_microsoft-windows-servicingstack_31bf3856ad364e35"),
                7 => format!("{{\"level\":\"info\",\"ts\":{}.{ms:03},\"caller\":\"server/handler.go:{}\",\"msg\":\"request served\",\"status\":200,\"duration_ms\":{}}}", 1_700_000_000 + r.below(10_000_000), r.below(900), r.below(9000)),
                8 => format!("03-17 {h:02}:{m:02}:{s:02}.{ms:03}  1702  {} D WindowManager: printFreezingDisplayLogsopening app wtoken = AppWindowToken{{{:x} token=Token{{{:x} ActivityRecord{{{:x} u0 com.tencent.qt.qtl/.activity.info t761}}}}}}, allDrawn= false", r.below(9999), r.below(1 << 28), r.below(1 << 28), r.below(1 << 28)),
                _ => format!("- 1131566461 2005.11.09 dn{} Nov 9 {h:02}:{m:02}:{s:02} dn{}/dn{} crond(pam_unix)[{}]: session opened for user root by (uid=0)", r.below(999), r.below(999), r.below(999), r.below(9999)),
            };
            line.into_bytes()
        })
        .collect()
}
