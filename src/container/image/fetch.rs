//! An image by its reference: in the store, else from where the reference points; its layers unpacked.
//!
//! What is fetched is hashed, stored, inflated and unpacked in one pass, layers in parallel. An image that is here
//! already costs the reading of its three small documents.

use super::Home;
use super::subordinate::has_many_ids;
use crate::error::{Context, Error, Result};
use oci::image_config::ImageConfig;
use oci::progress::Progress;
use oci::reference::{self, Location, Reference};
use oci::registry::{self, Registry};
use oci::store::Opened;
use oci::transfer::{self, Session, Source};
use oci::{DiffId, Digest, Kind};
use rootfs::snapshot::{Chain, Hold, LayerBlob, SnapshotError, UnpackOptions};
use std::io::{self, Read};
use std::sync::Mutex;

/// When a registry is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pull {
    /// When the store has no image of the name.
    #[default]
    Missing,
    /// Every time.
    Always,
    /// Not at all.
    Never,
}

/// How an image is brought in.
#[derive(Clone, Default)]
pub struct FetchOptions<'o> {
    /// When a registry is asked.
    pub pull: Pull,
    /// How registries are spoken to: asked when one is, which reads files that nobody else needs.
    pub registry: Option<&'o dyn Fn() -> Result<registry::Options>>,
    /// Which image, how many layers at once.
    pub transfer: transfer::Options,
    /// How layers are unpacked.
    pub unpack: UnpackOptions,
}

/// An image that is in the store, its layers unpacked.
#[derive(Debug)]
pub struct Fetched {
    /// Its name in the store.
    pub name: String,
    /// Its manifest's digest.
    pub manifest: Digest,
    /// Its configuration.
    pub config: ImageConfig,
    /// Its layers.
    pub chain: Chain,
    /// They stay where they are until a container stands on them.
    pub(super) hold: Mutex<Option<Hold>>,
}

/// Finds or brings in an image, and unpacks what is missing of its layers.
pub fn fetch(
    home: &Home,
    reference: &str,
    options: &FetchOptions<'_>,
    progress: &dyn Progress,
) -> Result<Fetched> {
    let location: Location = reference.parse()?;
    let options = match crate::host::is_machine_root() {
        true => options,
        // Without ranges of ids files belong to the caller, who is root in the container.
        false => &FetchOptions {
            unpack: UnpackOptions {
                owners: has_many_ids(),
                devices: false,
                ..options.unpack.clone()
            },
            ..options.clone()
        },
    };
    rootfs::layer::give_back_with(crate::sys::allocator::give_back);
    let fetching = Fetching {
        home,
        options,
        progress,
        hold: home.snapshots.hold()?,
    };
    match &location {
        Location::OciDir(place) | Location::OciArchive(place) | Location::DockerArchive(place) => {
            let source = oci::archive::open(&location)?;
            let name = source.name().unwrap_or_else(|| place.store_name());
            let fetched = fetching.bring(&*source, &name);
            fetched.context(format_args!("import {location}"))
        }
        Location::Name(name) => fetching.by_name(name, None),
        Location::Registry(wanted) => {
            let name = reference.trim_start_matches("docker://");
            fetching.by_name(name, Some(wanted))
        }
    }
}

struct Fetching<'f> {
    home: &'f Home,
    options: &'f FetchOptions<'f>,
    progress: &'f dyn Progress,
    hold: Hold,
}

impl Fetching<'_> {
    fn by_name(self, name: &str, wanted: Option<&Reference>) -> Result<Fetched> {
        if self.options.pull != Pull::Always {
            match self.home.store.open_image(name) {
                Ok(opened) => return self.stored(name, opened),
                Err(error)
                    if error.kind() == Kind::NotFound && self.options.pull == Pull::Missing => {}
                Err(error) => return Err(error.into()),
            }
        }
        let wanted = match wanted {
            Some(wanted) => wanted.clone(),
            None => reference::parse(name)?,
        };
        let options = self
            .options
            .registry
            .map_or_else(|| Ok(Default::default()), |ask| ask())?;
        let registry = Registry::new(&wanted, &options, self.progress);
        let stored_as = reference::store_name(&wanted);
        self.bring(&registry, &stored_as)
            .context(format_args!("pull {wanted}"))
    }

    /// An image that is in the store; its layers may have to be unpacked.
    fn stored(self, name: &str, opened: Opened) -> Result<Fetched> {
        let Opened {
            image,
            manifest,
            config,
        } = opened;
        let snapshots = &self.home.snapshots;
        let chain = match snapshots.chain(&config.diff_ids) {
            Err(SnapshotError::NotUnpacked(_)) => {
                let store = &self.home.store;
                let blobs = manifest.layers.iter().map(|layer| &layer.blob);
                let layers = blobs.zip(&config.diff_ids).map(|(blob, diff_id)| {
                    let open = move || match store.open_blob(blob) {
                        Ok(reader) => Ok(Box::new(reader) as Box<dyn Read + Send>),
                        Err(error) => Err(io::Error::other(error.to_string())),
                    };
                    layer_blob(diff_id, open)
                });
                let layers: Vec<_> = layers.collect();
                let unpacked = snapshots.unpack(&layers, &self.options.unpack);
                unpacked
                    .map_err(Error::from)
                    .context(format_args!("unpack {name}"))?
            }
            chain => chain?,
        };
        Ok(Fetched {
            manifest: image.digest()?,
            name: image.name.unwrap_or_else(|| name.to_owned()),
            config,
            chain,
            hold: Mutex::new(Some(self.hold)),
        })
    }

    /// An image from elsewhere: every layer that is missing is stored and unpacked while it is read.
    fn bring(self, source: &dyn Source, name: &str) -> Result<Fetched> {
        let (store, snapshots) = (&self.home.store, &self.home.snapshots);
        let session = Session::begin(store, source, &self.options.transfer, self.progress)?;
        let diff_ids = session.config().diff_ids.iter();
        let layers: Vec<_> = diff_ids
            .enumerate()
            .map(|(at, diff_id)| {
                let session = &session;
                let open = move || {
                    let opened = session.open_layer(at);
                    opened.map_err(|error| io::Error::other(error.to_string()))
                };
                layer_blob(diff_id, open)
            })
            .collect();
        let chain = snapshots.unpack(&layers, &self.options.unpack)?;
        drop(layers);
        let stored = session.finish(name)?;
        Ok(Fetched {
            name: name.to_owned(),
            manifest: Digest::try_from(stored.descriptor.digest())?,
            config: stored.config,
            chain,
            hold: Mutex::new(Some(self.hold)),
        })
    }
}

fn layer_blob<'b>(
    diff_id: &DiffId,
    open: impl Fn() -> io::Result<Box<dyn Read + Send + 'b>> + Sync + 'b,
) -> LayerBlob<'b> {
    LayerBlob {
        diff_id: diff_id.clone(),
        open: Box::new(open),
    }
}
