//! Under shuttle: tasks of one thread, chosen at random at each lock, notification and await; time that stands still until
//! a task of its own moves it.
//!
//! In most executions time moves only when all other tasks wait, as if the machine were fast. In the others it moves while
//! they could go on, too: a timer then overtakes what it is to be compared with.

use std::{
    cell::Cell,
    env,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

pub(crate) use shuttle::future::{JoinHandle, yield_now};
use shuttle::{
    Config, MaxSteps, Runner,
    rand::{Rng, thread_rng},
    scheduler::{PctScheduler, RandomScheduler},
};

use super::{one_in, setting};
use crate::sync::{Instant, advance, reset, wait_for_timer};

/// No scene takes that long: a task polls again and again for what does not come.
const LONGEST: Duration = Duration::from_secs(86_400);

thread_local! {
    /// How many tasks could go on.
    static READY: Cell<usize> = const { Cell::new(0) };
    /// Time moves once in so many of the turns of its task although others could go on; 0 for never.
    static HASTE: Cell<usize> = const { Cell::new(0) };
}

/// Runs a scene under `DARAJA_SCHEDULES` random schedules, and a tenth as many of PCT's; or once more under the schedule
/// that a failure has printed, from `DARAJA_SCHEDULE`.
pub(crate) fn explore<F: Future<Output = ()> + Send + 'static>(scene: fn() -> F) {
    let execution = move || execute(scene);
    if let Ok(schedule) = env::var("DARAJA_SCHEDULE") {
        return shuttle::replay(execution, &schedule);
    }
    let count = usize::try_from(setting("DARAJA_SCHEDULES", 500)).expect("a count");
    let seed = setting("DARAJA_SEED", 1);
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.silence_warnings = true;
    Runner::new(RandomScheduler::new_from_seed(seed, count), config.clone()).run(execution);
    Runner::new(PctScheduler::new_from_seed(seed, 3, count.div_ceil(10)), config).run(execution);
}

fn execute<F: Future<Output = ()> + Send + 'static>(scene: fn() -> F) {
    reset();
    READY.set(0);
    HASTE.set([0, 0, 100, 2][below(4)]);
    shuttle::future::block_on(async {
        let over = Arc::new(AtomicBool::new(false));
        let time = shuttle::future::spawn(move_time(over.clone()));
        spawn(scene()).await.expect("a scene that ends");
        over.store(true, SeqCst);
        time.abort();
    });
}

async fn move_time(over: Arc<AtomicBool>) {
    while !over.load(SeqCst) {
        let is_hasty = HASTE.get() > 0 && one_in(HASTE.get());
        if is_hasty || READY.get() == 0 {
            if !advance() && READY.get() == 0 {
                wait_for_timer().await;
            }
            assert!(Instant::now().saturating_duration_since(Instant::START) < LONGEST, "the scene does not end");
        }
        yield_now().await;
    }
}

/// From now on time moves only when all tasks wait.
pub(crate) fn calm() {
    HASTE.set(0);
}

/// Whether time moves only when all tasks wait.
pub(crate) fn is_prompt() -> bool {
    HASTE.get() == 0
}

pub(crate) fn below(count: usize) -> usize {
    thread_rng().gen_range(0..count)
}

pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let counted = Counted { inner: Box::pin(future), task: Arc::new(Task::default()) };
    counted.task.wake_by_ref();
    shuttle::future::spawn(counted)
}

/// A task that counts as ready from when it is woken until it waits.
struct Counted<F> {
    inner: Pin<Box<F>>,
    task: Arc<Task>,
}

#[derive(Default)]
struct Task {
    is_woken: AtomicBool,
    waker: std::sync::Mutex<Option<Waker>>,
}

impl Task {
    /// Takes the wake; one more task is ready then than is counted.
    fn take_wake(&self) {
        if !self.is_woken.swap(false, SeqCst) {
            READY.set(READY.get() + 1);
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, SeqCst) {
            READY.set(READY.get() + 1);
        }
        let waker = self.waker.lock().expect("no panic within").clone();
        waker.inspect(Waker::wake_by_ref);
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let task = self.task.clone();
        task.take_wake();
        *task.waker.lock().expect("no panic within") = Some(context.waker().clone());
        let waker = Waker::from(task.clone());
        let outcome = pin!(&mut self.inner).poll(&mut Context::from_waker(&waker));
        READY.set(READY.get() - 1);
        if outcome.is_ready() && task.is_woken.swap(true, SeqCst) {
            READY.set(READY.get() - 1);
        }
        outcome
    }
}
