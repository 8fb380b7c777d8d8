//! Who has which GPU: whole devices and shares of one.

mod discover;

use std::collections::BTreeMap;

pub use discover::discover;

use crate::LaunchId;

/// A device is handed out in thousandths, so that three thirds fit on one.
const WHOLE: u32 = 1000;

/// The GPUs of this machine and who holds them. Pure: it only keeps the books.
#[derive(Debug, Clone, Default)]
pub struct Gpus {
    devices: Vec<Device>,
    holders: BTreeMap<LaunchId, Vec<Share>>,
}

#[derive(Debug, Clone)]
struct Device {
    id: String,
    /// Thousandths that nobody holds.
    free: u32,
}

#[derive(Debug, Clone, Copy)]
struct Share {
    device: usize,
    thousandths: u32,
}

/// There is not enough left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it asks for {asked} GPU, and {left}; lower `num_gpus` or `num_workers`, or stop another model"
)]
pub struct NoGpu {
    asked: String,
    left: String,
}

impl Gpus {
    /// Keeps the books of these devices, named as `CUDA_VISIBLE_DEVICES` names them.
    pub fn new(devices: impl IntoIterator<Item = String>) -> Self {
        let devices = devices.into_iter().map(|id| Device { id, free: WHOLE }).collect();
        Self { devices, holders: BTreeMap::new() }
    }

    /// Hands out `gpus` devices: a share of one up to 1, whole ones above. Returns the value of
    /// `CUDA_VISIBLE_DEVICES`, or `None` if nothing was asked for: then the environment is left
    /// as it is. Who holds some already gives them back first.
    ///
    /// # Errors
    /// [`NoGpu`] with what is asked and what is left; nothing was handed out.
    pub fn take(&mut self, holder: &LaunchId, gpus: f64) -> Result<Option<String>, NoGpu> {
        self.release(holder);
        if gpus <= 0.0 {
            return Ok(None);
        }
        let shares = if gpus < 1.0 { self.share(gpus) } else { self.whole(gpus) };
        let Some(shares) = shares else { return Err(self.refusal(gpus)) };
        for share in &shares {
            self.devices[share.device].free -= share.thousandths;
        }
        let ids: Vec<_> =
            shares.iter().map(|share| self.devices[share.device].id.as_str()).collect();
        let visible = ids.join(",");
        self.holders.insert(holder.clone(), shares);
        Ok(Some(visible))
    }

    /// Takes back what this process held, if anything.
    pub fn release(&mut self, holder: &LaunchId) {
        for share in self.holders.remove(holder).unwrap_or_default() {
            self.devices[share.device].free += share.thousandths;
        }
    }

    /// The fullest device that still has room, so that whole ones stay whole.
    fn share(&self, gpus: f64) -> Option<Vec<Share>> {
        // Rounded down, at least one: three thirds must fit.
        let thousandths = ((gpus * f64::from(WHOLE)) as u32).max(1);
        let (device, _) = self
            .devices
            .iter()
            .enumerate()
            .filter(|(_, device)| device.free >= thousandths)
            .min_by_key(|(_, device)| device.free)?;
        Some(vec![Share { device, thousandths }])
    }

    fn whole(&self, gpus: f64) -> Option<Vec<Share>> {
        // The configuration allows only whole numbers here; a stray fraction counts as one more.
        let wanted = gpus.ceil() as usize;
        let untouched = self.devices.iter().enumerate().filter(|(_, device)| device.free == WHOLE);
        let shares: Vec<_> = untouched
            .take(wanted)
            .map(|(device, _)| Share { device, thousandths: WHOLE })
            .collect();
        (shares.len() == wanted).then_some(shares)
    }

    fn refusal(&self, gpus: f64) -> NoGpu {
        let whole = self.devices.iter().filter(|device| device.free == WHOLE).count();
        let parts: Vec<_> = self
            .devices
            .iter()
            .filter(|device| (1..WHOLE).contains(&device.free))
            .map(|device| {
                format!("{} of GPU {}", f64::from(device.free) / f64::from(WHOLE), device.id)
            })
            .collect();
        let left = match (self.devices.len(), whole, parts.is_empty()) {
            (0, ..) => "this machine has none".to_owned(),
            (all, 0, true) => format!("all {all} are taken"),
            (all, _, true) => format!("{whole} of {all} are free"),
            (all, ..) => format!("{whole} of {all} are free, besides {}", parts.join(", ")),
        };
        NoGpu { asked: gpus.to_string(), left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_share_a_device_and_a_third_opens_the_next() {
        check(2, &[("a", 0.5, "0"), ("b", 0.5, "0"), ("c", 0.5, "1")]);
    }

    #[test]
    fn three_thirds_fit_on_one_device() {
        let third = 1.0 / 3.0;
        check(1, &[("a", third, "0"), ("b", third, "0"), ("c", third, "0")]);
    }

    #[test]
    fn whole_devices_are_not_shared_and_shares_are_packed() {
        check(4, &[("a", 0.25, "0"), ("b", 2.0, "1,2"), ("c", 0.5, "0"), ("d", 1.0, "3")]);
    }

    #[test]
    fn who_asks_for_none_gets_none_and_takes_none() {
        assert_eq!(Gpus::default().take(&LaunchId::new("a"), 0.0), Ok(None));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut gpus = some(1);
        let (a, b) = (LaunchId::new("a"), LaunchId::new("b"));
        assert_eq!(gpus.take(&a, 1.0), Ok(Some("0".into())));
        gpus.take(&b, 0.5).unwrap_err();
        gpus.release(&a);
        gpus.release(&a);
        assert_eq!(gpus.take(&b, 1.0), Ok(Some("0".into())));
    }

    #[test]
    fn a_refusal_says_what_is_asked_and_what_is_left() {
        let refusal =
            |gpus: &mut Gpus, asked| gpus.take(&LaunchId::new("z"), asked).unwrap_err().to_string();
        assert!(
            refusal(&mut some(0), 1.0).starts_with("it asks for 1 GPU, and this machine has none;")
        );
        let mut gpus = some(2);
        assert!(refusal(&mut gpus, 3.0).starts_with("it asks for 3 GPU, and 2 of 2 are free;"));
        gpus.take(&LaunchId::new("a"), 0.75).unwrap();
        assert!(refusal(&mut gpus, 2.0).contains("1 of 2 are free, besides 0.25 of GPU 0;"));
        gpus.take(&LaunchId::new("b"), 1.0).unwrap();
        gpus.take(&LaunchId::new("c"), 0.25).unwrap();
        assert!(refusal(&mut gpus, 0.1).contains("all 2 are taken;"));
    }

    fn some(count: usize) -> Gpus {
        Gpus::new((0..count).map(|index| index.to_string()))
    }

    #[track_caller]
    fn check(devices: usize, story: &[(&str, f64, &str)]) {
        let mut gpus = some(devices);
        for &(holder, asked, visible) in story {
            let got = gpus.take(&LaunchId::new(holder), asked);
            assert_eq!(got, Ok(Some(visible.to_owned())), "{holder} asks for {asked}");
        }
    }
}
