//! What registrations leave behind.

use fleet::{FleetSettings, Offer};
use store::MemoryStore;
use tasks::TaskSettings;

use super::*;

fn service() -> ProxyService {
    let settings = FleetSettings {
        heartbeat: Duration::from_secs(10),
        lease: Duration::from_secs(30),
        join_token: String::new(),
        epoch: 1,
    };
    let metrics = Metrics::new("test");
    let fleet = Fleet::new(settings, metrics.clone());
    let dispatcher = Dispatcher::new(fleet.clone(), metrics.clone(), CancellationToken::new());
    let store = Arc::new(MemoryStore::new());
    let tasks = Tasks::new(store, dispatcher.clone(), metrics.clone(), TaskSettings::default());
    let (commands, inbox) = mpsc::channel(1);
    let template = ModelSpec { kind: ModelKind::Ieops, ..ModelSpec::default() };
    let parts = Parts { fleet, dispatcher, tasks, metrics };
    ProxyService::new(parts, template, Ends { commands, inbox })
}

fn worker(id: &str, model: &str) -> Announced {
    Announced {
        id: id.into(),
        address: Address::Unix("/nowhere/at.all".into()),
        model: model.parse().unwrap(),
        offer: Offer { capacity: 8, weight: 1, busy: 0, takes_calls: true },
        load: None,
        metrics: Vec::new(),
        usage: Vec::new(),
    }
}

#[tokio::test]
async fn a_worker_that_is_refused_leaves_no_model_behind() {
    let mut service = service();
    service.beat(worker("first", "old")).unwrap();
    let now = Instant::now();
    for number in 0.. {
        if service.roll.beat(worker(&number.to_string(), "old"), now).is_err() {
            break;
        }
    }
    let fault = service.beat(worker("more", "new")).unwrap_err();
    assert!(fault.to_string().contains("as many workers"), "{fault}");
    let models: Vec<_> = service.parts.fleet.views().into_iter().map(|(name, _)| name).collect();
    assert_eq!(models, ["old".parse().unwrap()]);
}

#[tokio::test]
async fn registrations_make_so_many_models_and_no_more() {
    let mut service = service();
    service.beat(worker("first", "old")).unwrap();
    for number in 1..MODELS_MADE_MAX {
        // The worker moves on to another name each time.
        service.beat(worker("mover", &format!("m{number}"))).unwrap();
    }
    let fault = service.beat(worker("more", "new")).unwrap_err();
    assert_eq!(fault.code, ErrorCode::ModelUnavailable);
    assert!(fault.to_string().contains("[models.new]"), "{fault}");
    assert_eq!(service.parts.fleet.views().len(), MODELS_MADE_MAX);
    service.beat(worker("more", "old")).unwrap();

    let configured = Arc::new(ModelSpec { kind: ModelKind::Ieops, ..ModelSpec::default() });
    service.parts.fleet.add_model(&"new".parse().unwrap(), configured);
    service.beat(worker("another", "new")).unwrap();
}
